FROM a
WORKDIR /a
COPY x ../../y
