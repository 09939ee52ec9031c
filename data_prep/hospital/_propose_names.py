"""How hospitals name the columns of their tables, in English, German, French and Spanish."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from data_prep.hospital._tables_rows import plain

# Our name -> names without spaces and signs, in lower case.
_NAMES: Mapping[str, str] = {
    "patient": (
        "patient patientid patid pid mrn id subject subjectid subjectnumber patientnumber hospitalnumber recordnumber "
        "patientennummer patientnr patnr patientenid fallnummer iddupatient numeropatient numérodepatient ipp "
        "numerodepaciente númerodepaciente paciente idpaciente nhc historiaclinica"
    ),
    "laterality": "laterality eye side eyeside lateralität seite auge œil oeil latéralité lateralite "
    "ojo lateralidad lado",
    "date": (
        "date examdate testdate visitdate studydate acquisitiondate dateofexam dateoftest dateofexamination "
        "examinationdate datum untersuchungsdatum messdatum aufnahmedatum "
        "dateexamen datedexamen datedelexamen fecha fechaexamen "
        "fechadelexamen fechaprueba"
    ),
    "md": (
        "md mddb meandeviation vfmd mdvalue meandeviationdb mdhfa mittlereabweichung mittlereabweichungdb mdwert "
        "déviationmoyenne deviationmoyenne desviacionmedia desviaciónmedia dm"
    ),
    "psd": "psd psddb patternstandarddeviation",
    "vfi": "vfi visualfieldindex",
    "pattern": "pattern testpattern vfpattern grid testmuster muster raster schéma programme programa patron patrón",
    "strategy": "strategy teststrategy vfstrategy strategie stratégie estrategia",
    "fixation_losses": (
        "fixationlosses fixationloss fl flpercent fixationsverluste fixationsverlust pertesdefixation "
        "perdidasdefijacion pérdidasdefijación"
    ),
    "false_positives": (
        "falsepositives falsepositive falsepositiveerrors fp fppercent falschpositive falschpositiv fauxpositifs "
        "falsospositivos"
    ),
    "false_negatives": (
        "falsenegatives falsenegative falsenegativeerrors fn fnpercent falschnegative falschnegativ fauxnégatifs "
        "fauxnegatifs falsosnegativos"
    ),
    "age": "age ageyears patientage alter âge edad",
    "birth_date": (
        "birthdate dob dateofbirth birthday geburtsdatum gebdatum geburtstag datedenaissance fechadenacimiento "
        "fechanacimiento"
    ),
    "sex": "sex gender patientsex geschlecht sexe genre sexo genero género",
    "file": (
        "file filename image imagefile imagename path filepath imagepath datei dateiname bild bilddatei fichier "
        "nomdufichier archivo nombredearchivo imagen"
    ),
    "kind": "kind modality imagetype modalität modalite modalité modalidad",
    "region": "region scanregion anatomy location fixation bereich région región",
    "scan_pattern": "scanpattern scantype",
    "signal": "signal signalstrength quality qualityscore signalquality signalstärke signalstaerke qualität",
    "field_of_view": "fieldofview fov angle bildwinkel champ campo",
}
_ALIKE = 0.86
_SHORTEST = 6


def guess_columns(headers: Sequence[str]) -> dict[str, str]:
    """Our name of a column -> its header, for the headers that resemble a known name; each is used once.

    Exact names come first; longer names may differ in a sign or two.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for alike in (_equal, _near):
        for name, known in _NAMES.items():
            fitting = [header for header in headers if header not in taken and alike(plain(header), known.split())]
            # Two columns that fit alike: nobody can tell which is meant.
            if name not in found and len(fitting) == 1:
                found[name] = fitting[0]
                taken.add(fitting[0])
    return {name: found[name] for name in _NAMES if name in found}


def _equal(header: str, known: Sequence[str]) -> bool:
    return header in known


def _near(header: str, known: Sequence[str]) -> bool:
    longer = [name for name in known if len(name) >= _SHORTEST]
    return len(header) >= _SHORTEST and bool(difflib.get_close_matches(header, longer, n=1, cutoff=_ALIKE))
