FROM a
COPY a <<E
1
E
