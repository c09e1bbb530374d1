"""One script for each step from a schema to the next. They import nothing of ours: a step does
for good what it did when it was released, whatever becomes of the tables later."""
