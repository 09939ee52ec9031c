"""Synthetic exports of vendors, written byte by byte from the published structures, not with the readers' own code.

Every function returns the bytes of a file, or writes a folder and returns the path of the file to read. `Person` holds
what identifies; tests plant canaries there. Photographs and plain volumes are in `clinical_images`.
"""

from clinical_vendor_common import SOMEBODY, Person, gray_volume, jpeg2000, photograph
from clinical_vendor_heidelberg import e2e, e2e_chunk, heyex_xml, vol
from clinical_vendor_topcon import fda, fds, topcon_file
from clinical_vendor_zeiss import hfa_xml, zeiss_img, zeiss_name

__all__ = [
    "SOMEBODY", "Person", "e2e", "e2e_chunk", "fda", "fds", "gray_volume", "heyex_xml", "hfa_xml", "jpeg2000",
    "photograph", "topcon_file", "vol", "zeiss_img", "zeiss_name",
]  # fmt: skip
