mod expansion;
mod lines;
