FROM a
COPY <<A /x
1
A
