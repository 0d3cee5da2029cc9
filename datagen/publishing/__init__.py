"""`datagen push`: a product where others read it, so that they see the old one or the new one, and never a mixture.

On the Hugging Face hub that is one commit; in a cloud a folder for each version, and one file that says which holds.
"""
