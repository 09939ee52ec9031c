import numpy as np
import pytest
from PIL import Image

from data_prep._contact_sheet import Shown, spread, write_contact_sheet


@pytest.mark.parametrize("count", [0, 1, 23, 24, 25, 100, 1115])
def test_positions_are_distinct_ordered_and_reach_both_ends(count):
    positions = spread(count)
    assert len(positions) == min(count, 24)
    assert positions == sorted(set(positions))
    assert not positions or (positions[0], positions[-1]) == (0, count - 1)


def test_every_picture_stands_in_its_place_with_a_caption(tmp_path):
    colours = [(255, 0, 0), (0, 128, 0), (0, 0, 255), (90, 90, 0), (0, 90, 90), (90, 0, 90), (10, 20, 30)]
    shown = []
    for number, colour in enumerate(colours):
        Image.new("RGB", (400, 300), colour).save(tmp_path / f"{number}.png")
        shown.append(Shown(tmp_path / f"{number}.png", f"case {number}\n20 dB"))
    write_contact_sheet(tmp_path / "sheet.png", shown)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (2 * 222 + 8, 6 * 188 + 8, 3)
    for number, colour in enumerate(colours):
        row, column = divmod(number, 6)
        top, left = 8 + row * 222, 8 + column * 188
        assert tuple(sheet[top + 60, left + 90]) == colour
        assert (sheet[top + 182 : top + 214, left : left + 60] < 100).any(), "caption"
