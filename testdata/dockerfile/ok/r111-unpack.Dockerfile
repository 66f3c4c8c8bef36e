FROM a
ADD --unpack=true --chmod=644 https://h.example/f.tar.gz /d
