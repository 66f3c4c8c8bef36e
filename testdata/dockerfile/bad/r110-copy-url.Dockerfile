FROM a
COPY https://h.example/x y
