"""Steps between source and sink. Each takes a stream of byte chunks and gives one, or raises ``Failed``.

No step's output may become visible before every step has ended well: they give out bytes that are not
verified yet, gpg among them.
"""
