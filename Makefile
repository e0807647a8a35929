# Thin names for those whose fingers type make; everything happens in ./dev.
.PHONY: run test check

run:
	@./dev run

test:
	@./dev test

check:
	@./dev check
