FROM a
CMD ["\u00e9", "é\n"]
