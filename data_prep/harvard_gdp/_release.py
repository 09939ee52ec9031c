"""Harvard-GDP, from the README of its repository and the lab's public code."""

from __future__ import annotations

from data_prep._harvard._release import Release

RELEASE = Release(
    name="harvard_gdp",
    title="Harvard-GDP",
    converter="data_prep.harvard_gdp",
    source='Luo et al., "Harvard Glaucoma Detection and Progression: A Multimodal Multitask Dataset and '
    'Generalization-Reinforced Semi-Supervised Learning", ICCV 2023',
    licence="CC BY-NC-ND 4.0, non-commercial research only (README of the release)",
    arrays={"rnfl_map": "rnflt"},
)
EXAMPLE = """\
  python -m data_prep.harvard_gdp Harvard-GDP/ harvard_gdp/
  python -m monai.bundle run --dataset_dir harvard_gdp/ --output_dir output/harvard_gdp \\
    --config_file "['bundles/remd/train.json','bundles/remd/data/harvard_gdp.json']"
"""
