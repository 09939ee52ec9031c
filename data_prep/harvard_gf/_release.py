"""Harvard-GF, from the README of its repository and the lab's public code."""

from __future__ import annotations

from data_prep._harvard._release import Release

RELEASE = Release(
    name="harvard_gf",
    title="Harvard-GF",
    converter="data_prep.harvard_gf",
    source='Luo et al., "Harvard Glaucoma Fairness: A Retinal Nerve Disease Dataset for Fairness Learning and Fair '
    'Identity Normalization", IEEE Transactions on Medical Imaging 43(7), 2024',
    licence="CC BY-NC-ND 4.0, non-commercial research only (README of the release)",
    arrays={"oct": "oct_bscans", "rnfl_map": "rnflt"},
    field_mm=(6.0, 2.0, 6.0),
    spacing_source="assumed: the 6 x 6 x 2 mm of an optic disc cube, which the lab's code exports; the release states "
    "none",
    races={"0": "asian", "1": "black or african american", "2": "white or caucasian"},
)
EXAMPLE = """\
  python -m data_prep.harvard_gf Harvard-GF/ harvard_gf/
  python -m monai.bundle run --dataset_dir harvard_gf/ --output_dir output/harvard_gf \\
    --config_file "['bundles/remd/train.json','bundles/remd/data/harvard_gf.json']"
"""
