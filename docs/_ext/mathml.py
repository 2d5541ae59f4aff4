"""Formulas as MathML, which browsers draw themselves: no script to fetch."""

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml


def _visitor(as_block):
    def visit(translator, node):
        formula = tex2mathml(node.astext(), as_block=as_block)
        if as_block:
            formula = f'<div class="math-block">{formula}</div>'
        translator.body.append(formula)
        raise nodes.SkipNode

    return visit


def setup(app):
    """Register with Sphinx."""
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(_visitor(False), None),
        block_renderers=(_visitor(True), None),
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
