// syntax=other/x
FROM a
