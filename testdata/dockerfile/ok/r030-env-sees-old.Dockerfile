FROM a
ENV a=0
ENV a=1 b=$a
