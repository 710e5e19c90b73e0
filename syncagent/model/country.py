"""Countries as people write them: one code for each, and the number by which its phones are called from abroad."""

_KNOWN = """
AE 971 are|uae|united arab emirates
AR 54 arg|argentina
AT 43 aut|austria|oesterreich|österreich
AU 61 aus|australia
BE 32 bel|belgium|belgique|belgie|belgië
BR 55 bra|brazil|brasil
CA 1 can|canada
CH 41 che|switzerland|schweiz|suisse|svizzera
CL 56 chl|chile
CN 86 chn|china|people's republic of china
CO 57 col|colombia
CZ 420 cze|czechia|czech republic|cesko|česko
DE 49 deu|germany|deutschland|allemagne|alemania
DK 45 dnk|denmark|danmark
ES 34 esp|spain|espana|españa
FI 358 fin|finland|suomi
FR 33 fra|france|frankreich
GB 44 gbr|uk|united kingdom|great britain|england|scotland|wales|northern ireland
GR 30 grc|greece
HK 852 hkg|hong kong
HU 36 hun|hungary|magyarország
IE 353 irl|ireland
IL 972 isr|israel
IN 91 ind|india
IT 39 ita|italy|italia|italien
JP 81 jpn|japan
KR 82 kor|south korea|korea, republic of
LU 352 lux|luxembourg|luxemburg
MX 52 mex|mexico|méxico
NG 234 nga|nigeria
NL 31 nld|netherlands|the netherlands|nederland|holland
NO 47 nor|norway|norge
NZ 64 nzl|new zealand
PL 48 pol|poland|polska
PT 351 prt|portugal
RO 40 rou|romania
SE 46 swe|sweden|sverige
SG 65 sgp|singapore
TR 90 tur|turkey|türkiye
US 1 usa|united states|united states of america|u.s.|u.s.a.|america
ZA 27 zaf|south africa
"""


def _read() -> tuple[dict[str, str], dict[str, str]]:
    codes: dict[str, str] = {}
    calling: dict[str, str] = {}
    for line in _KNOWN.strip().splitlines():
        code, number, names = line.split(" ", 2)
        calling[code] = number
        codes.update((name.strip(), code) for name in (code.casefold(), *names.split("|")))
    return codes, calling


_CODES, _CALLING = _read()


def code_of(country: str) -> str:
    """The country's code of two letters; empty for what is not among those known here."""
    return _CODES.get(country.strip().casefold(), "")


def calling_code(country: str) -> str:
    """The digits behind the + of its phone numbers; empty for a country that is not known here."""
    return _CALLING.get(code_of(country), "")


def same(one: str, other: str) -> bool | None:
    """Whether these are one country; None where nobody can tell, for one is missing or not known here."""
    if not one.strip() or not other.strip():
        return None
    if one.strip().casefold() == other.strip().casefold():
        return True
    codes = code_of(one), code_of(other)
    return codes[0] == codes[1] if all(codes) else None
