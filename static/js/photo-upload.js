// A photo is made small enough before it leaves: at most 1,600 pixels on a side, and a copy of 480 for lists.
// What the camera wrote into it (where, when, with what) is lost on the way. Without this the file goes as it is.

const LARGE = 1600;
const SMALL = 480;

for (const form of document.querySelectorAll("[data-photo]")) {
  const file = form.querySelector("[name=file]");
  const small = form.querySelector("[data-small]");
  const said = form.querySelector("[data-said]");
  let ours = null;
  file.addEventListener("change", async () => {
    const chosen = file.files[0];
    if (!chosen || chosen === ours) return;
    said.textContent = "";
    small.value = "";
    try {
      const picture = await createImageBitmap(chosen, { imageOrientation: "from-image" });
      give(small, await drawn(picture, SMALL, 0.8), "small");
      ours = await drawn(picture, LARGE, 0.85);
      give(file, ours, chosen.name);
      ours = file.files[0];
      said.textContent = form.dataset.words.replace("{before}", kilobytes(chosen)).replace("{after}", kilobytes(ours));
    } catch {
      // Not a picture that this browser can read: the server says what is wrong with it.
    }
  });
}

async function drawn(picture, longest, quality) {
  const scale = Math.min(1, longest / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const paint = canvas.getContext("2d");
  paint.fillStyle = "#fff"; // what is transparent would turn black
  paint.fillRect(0, 0, canvas.width, canvas.height);
  paint.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((done, failed) => {
    canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("no picture"))), "image/jpeg", quality);
  });
}

function give(field, blob, name) {
  const holder = new DataTransfer();
  const base = name.replace(/\.[^.]*$/, "");
  holder.items.add(new File([blob], `${base}.jpg`, { type: blob.type }));
  field.files = holder.files;
}

function kilobytes(file) {
  return `${Math.max(1, Math.round(file.size / 1024)).toLocaleString(document.documentElement.lang)} KB`;
}
