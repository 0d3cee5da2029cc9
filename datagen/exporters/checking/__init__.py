"""`datagen export --check`: what trainers would stumble over in a data set, and what each would do."""
