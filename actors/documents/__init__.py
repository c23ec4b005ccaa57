"""The documents as they are shown: pages, links, Markdown, search. No answer of a call depends on them."""
