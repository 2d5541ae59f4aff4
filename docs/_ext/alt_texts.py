"""Every picture has a text for those who cannot see it; one without fails the build.

In a guide page the text is set with the cell::

    ---
    mystnb:
      image:
        alt: Training loss against epoch
    ---

The notebooks keep their pictures in the outputs, so their pictures are named by the
section that they are in. Thumbnails of the gallery are named by their script.
"""

import re

from docutils import nodes
from sphinx.util import logging

_LOGGER = logging.getLogger(__name__)
_THUMBNAIL = re.compile(r"sphx_glr_(?:plot_)?(\w+)_thumb\.")


def _heading(image):
    """Return the title of the section that an image is in."""
    node = image
    while node is not None and not isinstance(node, nodes.section):
        node = node.parent
    return node[0].astext() if node is not None else ""


def check_alt_texts(app, doctree):
    """Name the notebooks' pictures; warn of any other that has no text."""
    docname = app.env.docname
    for image in doctree.findall(nodes.image):
        if image.get("alt"):
            continue
        thumbnail = _THUMBNAIL.search(image["uri"])
        if docname.startswith("notebooks/"):
            image["alt"] = f"Figure: {_heading(image)}"
        elif thumbnail:
            image["alt"] = "Thumbnail: " + thumbnail[1].replace("_", " ")
        else:
            _LOGGER.warning("a picture has no alt text", location=image)


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-read", check_alt_texts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
