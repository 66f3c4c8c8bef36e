FROM a
ADD a.tar.gz /d
ADD --unpack=false b.tar /d/
