FROM a
ENV E=
ENV a=${E:-1} b=${E-2} c=${E:+3} d=${E+4} e=${N:-${N2:-5}}
