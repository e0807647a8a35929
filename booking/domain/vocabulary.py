"""Words of the trade in Chinese and English by their codes: classes, regions, kinds, hazards, abilities."""

from decimal import Decimal
from typing import NamedTuple


class Term(NamedTuple):
    """A name in both languages."""

    zh: str
    en: str


class Class(NamedTuple):
    """A row of a scheme of class codes."""

    code: str
    scheme: str
    name: Term


class Ability(NamedTuple):
    """Something an instrument can do: a tag, for some a number with its unit."""

    tag: str
    value: Decimal | None = None
    unit: str = ""


SCHEME = "GB/T 32847-2016"
INFERRED = "GB/T 32847-2016 (inferred)"
"""Codes read from the order of a published list, not from the standard; check them before any report."""

_CLASSES: dict[str, tuple[str, str]] = {
    "01": ("分析仪器", "Analytical instruments"),
    "0101": ("电子光学仪器", "Electron-optical instruments"),
    "0102": ("质谱仪器", "Mass spectrometers"),
    "0103": ("X射线仪器", "X-ray instruments"),
    "0104": ("光谱仪器", "Optical spectrometers"),
    "0105": ("色谱仪器", "Chromatographs"),
    "0106": ("波谱仪器", "Magnetic resonance spectrometers"),
    "0107": ("电化学仪器", "Electrochemical instruments"),
    "0108": ("显微镜及图象分析仪器", "Microscopes and image analysis"),
    "0109": ("热分析仪器", "Thermal analysis"),
    "0110": ("生化分离分析仪器", "Biochemical separation and analysis"),
    "0111": ("环境与农业分析仪器", "Environmental and agricultural analysis"),
    "0112": ("样品前处理及制备仪器", "Sample preparation"),
    "0113": ("其他分析仪器", "Other analytical instruments"),
    "02": ("物理性能测试仪器", "Physical property testing"),
    "0201": ("力学性能测试仪器", "Mechanical testing"),
    "0202": ("大地测量仪器", "Geodetic instruments"),
    "0203": ("光电测量仪器", "Photoelectric measurement"),
    "0204": ("声学振动仪器", "Acoustics and vibration"),
    "0205": ("颗粒度测量仪器", "Particle size measurement"),
    "0206": ("探伤仪器", "Flaw detection"),
    "0207": ("其他物理性能测试仪器", "Other physical property testing"),
    "03": ("计量仪器", "Metrology"),
    "0301": ("长度计量仪器", "Length metrology"),
    "0302": ("热学计量仪器", "Thermal metrology"),
    "0303": ("力学计量仪器", "Mechanical metrology"),
    "0304": ("电磁学计量仪器", "Electromagnetic metrology"),
    "0305": ("时间频率计量仪器", "Time and frequency metrology"),
    "0306": ("声学计量仪器", "Acoustic metrology"),
    "0307": ("光学计量仪器", "Optical metrology"),
    "0308": ("其他计量仪器", "Other metrology"),
    "04": ("天文仪器", "Astronomical instruments"),
    "05": ("海洋仪器", "Marine instruments"),
    "06": ("地球探测仪器", "Earth exploration instruments"),
    "07": ("大气探测仪器", "Atmospheric instruments"),
    "08": ("电子测量仪器", "Electronic measurement"),
    "0801": ("通用电子测量仪器", "General electronic measurement"),
    "0802": ("射频和微波测试仪器", "RF and microwave testing"),
    "0803": ("通讯测量仪器", "Communications testing"),
    "0804": ("网络分析仪器", "Network analysis"),
    "0805": ("大规模集成电路测试仪器", "Large-scale integrated circuit testing"),
    "09": ("医学诊断仪器", "Medical diagnostics"),
    "0901": ("临床检验仪器", "Clinical laboratory"),
    "0902": ("影像诊断仪器", "Diagnostic imaging"),
    "0903": ("电子诊察仪器", "Electronic diagnosis"),
    "10": ("核仪器", "Nuclear instruments"),
    "1001": ("核辐射探测仪器", "Nuclear radiation detection"),
    "1002": ("活化分析仪器", "Activation analysis"),
    "1003": ("离子束分析仪器", "Ion beam analysis"),
    "1004": ("核效应分析仪器", "Nuclear effect analysis"),
    "1005": ("中子散射及衍射仪器", "Neutron scattering and diffraction"),
    "11": ("特种检测仪器", "Special inspection"),
    "1101": ("射线检测仪器", "Radiographic inspection"),
    "1102": ("超声检测仪器", "Ultrasonic inspection"),
    "1103": ("电磁检测仪器", "Electromagnetic inspection"),
    "1104": ("声发射检测仪器", "Acoustic emission inspection"),
    "1105": ("光电检测仪器", "Photoelectric inspection"),
    "12": ("工艺实验设备", "Process and pilot equipment"),
    "1201": ("汽车工艺实验设备", "Automotive process equipment"),
    "1202": ("化工、制药工艺实验设备", "Chemical and pharmaceutical process equipment"),
    "1203": ("电子工艺实验设备", "Electronics process equipment"),
    "1204": ("加工工艺实验设备", "Machining and forming equipment"),
    "1205": ("纺织工艺实验设备", "Textile process equipment"),
    "1206": ("食品工艺实验设备", "Food process equipment"),
    "1207": ("其他工艺实验设备", "Other process equipment"),
    "13": ("计算机及其配套设备", "Computers and peripherals"),
    "14": ("激光器", "Lasers"),
}

CLASSES = tuple(
    Class(code, INFERRED if code >= "12" else SCHEME, Term(*names)) for code, names in _CLASSES.items()
)
"""Large (2 digits) and middle (4 digits) classes; a parent stands before its children."""

REGIONS: dict[str, Term] = {
    "440000": Term("广东省", "Guangdong"),
    "440300": Term("深圳市", "Shenzhen"),
    "441900": Term("东莞市", "Dongguan"),
    "450000": Term("广西壮族自治区", "Guangxi"),
    "450100": Term("南宁市", "Nanning"),
    "450200": Term("柳州市", "Liuzhou"),
    "450300": Term("桂林市", "Guilin"),
    "450400": Term("梧州市", "Wuzhou"),
    "450500": Term("北海市", "Beihai"),
    "450600": Term("防城港市", "Fangchenggang"),
    "450700": Term("钦州市", "Qinzhou"),
    "450800": Term("贵港市", "Guigang"),
    "450900": Term("玉林市", "Yulin"),
    "451000": Term("百色市", "Baise"),
    "451100": Term("贺州市", "Hezhou"),
    "451200": Term("河池市", "Hechi"),
    "451300": Term("来宾市", "Laibin"),
    "451400": Term("崇左市", "Chongzuo"),
}
"""GB/T 2260 codes of the provinces served and their cities. Dongguan has towns and no counties."""

KINDS: dict[str, Term] = {
    "device": Term("仪器", "Instrument"),
    "station": Term("工位", "Station"),
    "line": Term("中试线", "Pilot line"),
    "beamline": Term("谱仪线站", "Beamline"),
    "space": Term("场地", "Space"),
    "expert": Term("专家", "Expert"),
    "virtual": Term("虚拟资源", "Virtual resource"),
}

MODES: dict[str, Term] = {
    "machine_time": Term("机时预约", "Machine time"),
    "sample": Term("送样", "Samples sent in"),
    "entrusted": Term("委托测试", "Commissioned test"),
    "entrusted_pilot": Term("委托中试", "Commissioned pilot run"),
    "proposal": Term("课题申请", "By proposal"),
}

OPERATOR_NEEDS: dict[str, Term] = {
    "always": Term("全程由操作员操作", "An operator runs it throughout"),
    "start_stop": Term("开机和停机由操作员完成", "An operator starts and stops it"),
    "new_user": Term("新用户须由操作员陪同", "New users are accompanied by an operator"),
    "self": Term("可自主上机", "Users run it themselves"),
}

HAZARDS: dict[str, Term] = {
    "acid": Term("酸", "Acid"),
    "biological_bsl1": Term("生物安全一级", "Biosafety level 1"),
    "co2_asphyxiation": Term("二氧化碳窒息", "Asphyxiation by CO₂"),
    "combustible_dust": Term("可燃粉尘", "Combustible dust"),
    "compressed_gas": Term("压缩气体", "Compressed gas"),
    "corrosive_gas": Term("腐蚀性气体", "Corrosive gas"),
    "corrosive_liquid": Term("腐蚀性液体", "Corrosive liquid"),
    "corrosive_mist": Term("腐蚀性雾", "Corrosive mist"),
    "cryogen": Term("低温介质", "Cryogen"),
    "cutting_fluid": Term("切削液", "Cutting fluid"),
    "dust": Term("粉尘", "Dust"),
    "electrical": Term("触电", "Electric shock"),
    "exhaust_gas": Term("尾气", "Exhaust gas"),
    "explosion": Term("爆炸", "Explosion"),
    "explosive_atmosphere": Term("爆炸性环境", "Explosive atmosphere"),
    "flammable_liquid": Term("易燃液体", "Flammable liquid"),
    "flux_fume": Term("助焊剂烟雾", "Flux fume"),
    "heavy_lifting": Term("重物吊装", "Heavy lifting"),
    "high_pressure": Term("高压", "High pressure"),
    "high_voltage": Term("高电压", "High voltage"),
    "hot_surface": Term("高温表面", "Hot surface"),
    "hydraulic": Term("液压", "Hydraulics"),
    "hydrogen_peroxide": Term("过氧化氢", "Hydrogen peroxide"),
    "inert_gas_asphyxiation": Term("惰性气体窒息", "Asphyxiation by inert gas"),
    "ionising_radiation": Term("电离辐射", "Ionising radiation"),
    "laser_class2": Term("2类激光", "Class 2 laser"),
    "laser_class4": Term("4类激光", "Class 4 laser"),
    "lead_fume": Term("铅烟", "Lead fume"),
    "mechanical": Term("机械伤害", "Moving machinery"),
    "nmp_solvent": Term("NMP溶剂", "NMP solvent"),
    "noise": Term("噪声", "Noise"),
    "organic_solvent": Term("有机溶剂", "Organic solvent"),
    "powder": Term("粉体", "Powder"),
    "pressure": Term("带压", "Pressure"),
    "pressure_vessel": Term("压力容器", "Pressure vessel"),
    "pyrophoric_gas": Term("自燃气体", "Pyrophoric gas"),
    "reactive_metal": Term("活泼金属", "Reactive metal"),
    "refrigerant": Term("制冷剂", "Refrigerant"),
    "rf_field": Term("射频电磁场", "Radio-frequency field"),
    "sample_activation": Term("样品活化", "Activation of samples"),
    "steam": Term("蒸汽", "Steam"),
    "strong_magnet": Term("强磁场", "Strong magnetic field"),
    "thermal": Term("高低温", "Heat and cold"),
    "thermal_runaway": Term("热失控", "Thermal runaway"),
    "toxic_fume": Term("有毒烟气", "Toxic fume"),
    "toxic_gas": Term("有毒气体", "Toxic gas"),
    "uv_light": Term("紫外光", "Ultraviolet light"),
    "vacuum": Term("真空", "Vacuum"),
    "welding_fume": Term("焊接烟尘", "Welding fume"),
}

ABILITIES: dict[str, Term] = {
    "3d_printing": Term("增材制造", "3D printing"),
    "aseptic_filling": Term("无菌灌装", "Aseptic filling"),
    "battery_assembly": Term("电池装配", "Battery assembly"),
    "battery_testing": Term("电池测试", "Battery testing"),
    "build_mm": Term("成形边长", "Build edge"),
    "calorimetry": Term("量热", "Calorimetry"),
    "carbonation": Term("碳化", "Carbonation"),
    "channels": Term("通道数", "Channels"),
    "chemical_reaction": Term("化学反应", "Chemical reaction"),
    "clamp_t": Term("锁模力", "Clamping force"),
    "classification": Term("分级", "Classification"),
    "climatic_testing": Term("气候环境试验", "Climatic testing"),
    "coating": Term("涂布", "Coating"),
    "compounding": Term("混炼造粒", "Compounding"),
    "computed_tomography": Term("断层扫描", "Computed tomography"),
    "corrosion_testing": Term("腐蚀试验", "Corrosion testing"),
    "device_fabrication": Term("器件流片", "Device fabrication"),
    "dimensional_metrology": Term("几何量测量", "Dimensional metrology"),
    "distillation": Term("蒸馏", "Distillation"),
    "drying": Term("干燥", "Drying"),
    "electron_beam": Term("电子束", "Electron beam"),
    "electron_microscopy": Term("电子显微", "Electron microscopy"),
    "elemental_analysis": Term("元素分析", "Elemental analysis"),
    "emc": Term("电磁兼容", "EMC"),
    "evaporation_kg_h": Term("蒸发量", "Evaporation"),
    "extraction": Term("萃取", "Extraction"),
    "extrusion": Term("挤出", "Extrusion"),
    "fermentation": Term("发酵", "Fermentation"),
    "force_kn": Term("试验力", "Test force"),
    "freeze_drying": Term("冷冻干燥", "Freeze drying"),
    "gas_chromatography": Term("气相色谱", "Gas chromatography"),
    "general_analysis": Term("分析检测", "Analysis"),
    "grinding": Term("研磨", "Grinding"),
    "injection_moulding": Term("注塑", "Injection moulding"),
    "irradiation": Term("辐照", "Irradiation"),
    "isostatic_pressing": Term("等静压", "Isostatic pressing"),
    "liquid_chromatography": Term("液相色谱", "Liquid chromatography"),
    "lithography": Term("光刻", "Lithography"),
    "load_t": Term("承载质量", "Load"),
    "machining": Term("机械加工", "Machining"),
    "mass_spectrometry": Term("质谱", "Mass spectrometry"),
    "mechanical_testing": Term("力学试验", "Mechanical testing"),
    "membrane_separation": Term("膜分离", "Membrane separation"),
    "microscopy": Term("显微", "Microscopy"),
    "mixing": Term("混合匀浆", "Mixing"),
    "neutron_diffraction": Term("中子衍射", "Neutron diffraction"),
    "neutron_reflectometry": Term("中子反射", "Neutron reflectometry"),
    "neutron_scattering": Term("中子散射", "Neutron scattering"),
    "particle_sizing": Term("粒度测量", "Particle sizing"),
    "payload_kg": Term("最大负载", "Payload"),
    "pieces_per_day": Term("日产能", "Pieces a day"),
    "pieces_per_hour": Term("小时产能", "Pieces an hour"),
    "pilot_production": Term("中试生产", "Pilot production"),
    "plasma_etching": Term("等离子体刻蚀", "Plasma etching"),
    "power_kw": Term("功率", "Power"),
    "powertrain_testing": Term("动力总成测试", "Powertrain testing"),
    "pressure_mpa": Term("压力", "Pressure"),
    "prototyping": Term("试制", "Prototyping"),
    "road_simulation": Term("道路模拟", "Road simulation"),
    "robot_assembly": Term("机器人装配", "Robot assembly"),
    "samples_per_tray": Term("每盘样品数", "Samples a tray"),
    "shelf_m2": Term("搁板面积", "Shelf area"),
    "sintering": Term("烧结", "Sintering"),
    "smt_assembly": Term("贴片装配", "SMT assembly"),
    "soldering": Term("焊锡", "Soldering"),
    "spectroscopy": Term("光谱", "Spectroscopy"),
    "speed_m_min": Term("线速度", "Line speed"),
    "spray_drying": Term("喷雾干燥", "Spray drying"),
    "sterilisation": Term("灭菌", "Sterilisation"),
    "surface_treatment": Term("表面改性", "Surface treatment"),
    "temperature_c": Term("最高温度", "Highest temperature"),
    "thermal_cycling": Term("温度循环", "Thermal cycling"),
    "thin_film_deposition": Term("薄膜沉积", "Thin-film deposition"),
    "throughput_kg_h": Term("处理量", "Throughput"),
    "throughput_l_h": Term("处理量（液体）", "Liquid throughput"),
    "vehicle_testing": Term("整车测试", "Vehicle testing"),
    "vibration_testing": Term("振动试验", "Vibration testing"),
    "voltage_v": Term("电压", "Voltage"),
    "volume_l": Term("容积", "Volume"),
    "wafers_per_lot": Term("每批晶圆数", "Wafers a lot"),
    "welding": Term("焊接", "Welding"),
    "xray_diffraction": Term("X射线衍射", "X-ray diffraction"),
    "xray_inspection": Term("X射线检测", "X-ray inspection"),
}
"""Machine-readable tags of what an instrument can do; those that carry a number name its unit."""

_BY_WORD: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("光刻", ("lithography",)),
    ("曝光", ("lithography",)),
    ("电子束", ("electron_beam",)),
    ("刻蚀", ("plasma_etching",)),
    ("气相沉积", ("thin_film_deposition",)),
    ("流片", ("device_fabrication", "lithography", "plasma_etching", "thin_film_deposition")),
    ("电子显微镜", ("electron_microscopy", "microscopy")),
    ("显微镜", ("microscopy",)),
    ("smt", ("smt_assembly", "soldering")),
    ("波峰焊", ("soldering",)),
    ("焊接", ("welding",)),
    ("x射线自动检测", ("xray_inspection",)),
    ("x射线衍射", ("xray_diffraction",)),
    ("工业ct", ("computed_tomography", "xray_inspection")),
    ("电波暗室", ("emc",)),
    ("振动", ("vibration_testing",)),
    ("温湿度", ("climatic_testing",)),
    ("交变湿热", ("climatic_testing", "thermal_cycling")),
    ("环境舱", ("climatic_testing", "vehicle_testing")),
    ("盐雾", ("corrosion_testing",)),
    ("衍射仪(gppd)", ("neutron_diffraction",)),
    ("中子衍射", ("neutron_diffraction",)),
    ("反射仪", ("neutron_reflectometry",)),
    ("辐照", ("irradiation",)),
    ("加工中心", ("machining",)),
    ("3d打印", ("3d_printing",)),
    ("注塑", ("injection_moulding",)),
    ("激光跟踪", ("dimensional_metrology",)),
    ("三坐标", ("dimensional_metrology",)),
    ("机器人", ("robot_assembly",)),
    ("发酵", ("fermentation",)),
    ("喷雾干燥", ("spray_drying", "drying")),
    ("冷冻干燥", ("freeze_drying", "drying")),
    ("灭菌", ("sterilisation",)),
    ("灌装", ("aseptic_filling",)),
    ("膜分离", ("membrane_separation",)),
    ("液相色谱", ("liquid_chromatography",)),
    ("气相色谱", ("gas_chromatography",)),
    ("质谱", ("mass_spectrometry",)),
    ("等离子体质谱", ("elemental_analysis",)),
    ("匀浆", ("mixing",)),
    ("涂布", ("coating",)),
    ("等静压", ("isostatic_pressing",)),
    ("化成", ("battery_testing",)),
    ("充放电", ("battery_testing",)),
    ("量热", ("calorimetry",)),
    ("绝热加速", ("battery_testing",)),
    ("软包", ("battery_assembly", "coating", "mixing", "isostatic_pressing")),
    ("材料试验机", ("mechanical_testing",)),
    ("测功机", ("vehicle_testing",)),
    ("电驱动", ("powertrain_testing",)),
    ("道路模拟", ("road_simulation", "vehicle_testing")),
    ("试制", ("prototyping", "welding")),
    ("研磨", ("grinding",)),
    ("分级", ("classification",)),
    ("表面改性", ("surface_treatment",)),
    ("碳化", ("carbonation", "chemical_reaction")),
    ("挤出", ("extrusion", "compounding")),
    ("粒度", ("particle_sizing",)),
    ("萃取", ("extraction",)),
    ("反应釜", ("chemical_reaction",)),
    ("蒸馏", ("distillation",)),
    ("烧结", ("sintering",)),
)
"""What a word of the Chinese name tells about the abilities; `化成分容` is formation of battery cells."""

_BY_CLASS: dict[str, str] = {
    "0101": "electron_microscopy",
    "0102": "mass_spectrometry",
    "0104": "spectroscopy",
    "0108": "microscopy",
    "0109": "calorimetry",
    "0201": "mechanical_testing",
    "0205": "particle_sizing",
    "0301": "dimensional_metrology",
    "01": "general_analysis",
    "1005": "neutron_scattering",
    "12": "pilot_production",
}

_BY_UNIT: dict[str, tuple[str, str, Decimal]] = {
    "L": ("volume_l", "L", Decimal(1)),
    "L chamber": ("volume_l", "L", Decimal(1)),
    "m3 chamber": ("volume_l", "L", Decimal(1000)),
    "m3 reactor": ("volume_l", "L", Decimal(1000)),
    "kN": ("force_kn", "kN", Decimal(1)),
    "MPa": ("pressure_mpa", "MPa", Decimal(1)),
    "kW": ("power_kw", "kW", Decimal(1)),
    "V": ("voltage_v", "V", Decimal(1)),
    "kg payload": ("payload_kg", "kg", Decimal(1)),
    "kg sample": ("payload_kg", "kg", Decimal(1)),
    "kg/h": ("throughput_kg_h", "kg/h", Decimal(1)),
    "kg water/h": ("evaporation_kg_h", "kg/h", Decimal(1)),
    "L/h": ("throughput_l_h", "L/h", Decimal(1)),
    "L/h feed": ("throughput_l_h", "L/h", Decimal(1)),
    "m/min": ("speed_m_min", "m/min", Decimal(1)),
    "mm build edge": ("build_mm", "mm", Decimal(1)),
    "m2 shelf": ("shelf_m2", "m²", Decimal(1)),
    "tonne": ("load_t", "t", Decimal(1)),
    "tonne GVM": ("load_t", "t", Decimal(1)),
    "tonne clamp": ("clamp_t", "t", Decimal(1)),
    "channel": ("channels", "", Decimal(1)),
    "sample/tray": ("samples_per_tray", "", Decimal(1)),
    "sample/changer": ("samples_per_tray", "", Decimal(1)),
    "wafer/lot": ("wafers_per_lot", "", Decimal(1)),
    "board/day": ("pieces_per_day", "", Decimal(1)),
    "cell/day": ("pieces_per_day", "", Decimal(1)),
    "unit/day": ("pieces_per_day", "", Decimal(1)),
    "set/day": ("pieces_per_day", "", Decimal(1)),
    "board/hour": ("pieces_per_hour", "", Decimal(1)),
}


UNITS: dict[str, str] = {tag: unit for tag, unit, _ in _BY_UNIT.values()} | {"temperature_c": "°C"}
"""The unit of each ability that carries a figure; some only count."""


def ability_name(tag: str) -> Term:
    """Give the names of an ability; a tag that the table lacks is shown as it is written."""
    plain = tag.replace("_", " ")
    return ABILITIES.get(tag, Term(plain, plain))


def class_names(code: str) -> list[Term]:
    """Give the names of a class and of the classes above it, the widest first."""
    return [Term(*_CLASSES[code[:length]]) for length in (2, 4) if code[:length] in _CLASSES]


def region_names(code: str) -> list[Term]:
    """Give the names of a region and of its province, the widest first."""
    return [REGIONS[part] for part in dict.fromkeys((code[:2] + "0000", code)) if part in REGIONS]


def abilities(
    *, name_zh: str, class_code: str | None, capacity: Decimal | None, capacity_unit: str
) -> list[Ability]:
    """Tell what an instrument can do from its Chinese name, its class and its capacity; sorted by tag."""
    lower = name_zh.lower()
    tags = {tag for word, found in _BY_WORD if word in lower for tag in found}
    tags |= _of_class(class_code or "", other=not tags)
    found = {tag: Ability(tag) for tag in tags}
    if capacity is not None and capacity_unit in _BY_UNIT:
        tag, unit, factor = _BY_UNIT[capacity_unit]
        found[tag] = Ability(tag, capacity * factor, unit)
    return [found[tag] for tag in sorted(found)]


def _of_class(code: str, *, other: bool) -> set[str]:
    """Give what the middle class tells; what the large one tells is too wide to say beside anything."""
    narrow = _BY_CLASS.get(code[:4])
    wide = _BY_CLASS.get(code[:2]) if other else None
    return {tag for tag in (narrow or wide,) if tag}
