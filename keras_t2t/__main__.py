"""`python -m keras_t2t` is `keras-t2t`."""

from keras_t2t.cli import main

if __name__ == "__main__":
    main()
