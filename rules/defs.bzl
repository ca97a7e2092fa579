"""Rules: the one door for BUILD files."""
def go_main(name, embed, visibility = None, **kwargs):
    native.alias(name = name, actual = embed[0], visibility = ["//visibility:public"])
