FROM full
VOLUME /a /b
