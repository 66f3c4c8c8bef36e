FROM a
COPY << E /x
1
E
