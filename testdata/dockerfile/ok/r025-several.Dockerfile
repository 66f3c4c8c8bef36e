FROM a
COPY <<a.txt <<b.txt /d/
1
a.txt
2
b.txt
