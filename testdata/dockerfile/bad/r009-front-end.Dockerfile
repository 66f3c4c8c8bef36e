# syntax=tonistiigi/xx:1
FROM a
