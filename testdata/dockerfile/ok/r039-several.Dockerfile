FROM a
ENV a="x y" b='q "r"' c=x\ y
