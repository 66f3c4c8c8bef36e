FROM a
\
USER y
