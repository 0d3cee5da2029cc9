"""Reading the text in pictures, for the checks that ask about it; needs the extra `ocr`."""
