FROM full
LABEL a="b c" "d e"=f\
g h=
LABEL old form
