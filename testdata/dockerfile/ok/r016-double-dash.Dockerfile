FROM a
COPY -- --odd /x
