"""The detector of questions: sentences, marks, endings, interrogatives, morphology; `detector` joins them."""
