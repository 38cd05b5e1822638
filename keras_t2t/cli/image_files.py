"""The images that a command line names, one after another."""

import glob
import os

from keras_t2t._ground.arguments import reason, shown
from keras_t2t._ground.listing import is_litter


def image_files(words):
    """Finds the images of files, folders and glob patterns.

    In a folder and its subfolders, files with an image's ending count; links to folders
    are not followed. Folders and patterns leave out hidden files and what operating
    systems leave, such as thumbnails. What is named itself counts, whatever its ending.

    Yields:
        `(path, None)`, sorted within each folder; `(word, reason)` if there is none.
    """
    from keras_t2t.data.image_formats import is_image_name

    def in_folder(folder):
        failed = []
        for parent, folders, names in os.walk(folder, onerror=failed.append):
            folders[:] = sorted(name for name in folders if not is_litter(name))
            for name in sorted(names):
                if is_image_name(name) and not is_litter(name):
                    yield os.path.join(parent, name), None
        for error in failed:
            yield error.filename, f"{shown(error.filename)}: {reason(error)}"

    def of_folder(folder):
        found = False
        for found in in_folder(folder):
            yield found
        if not found:
            yield folder, f"there is no image in the folder '{shown(folder)}'"

    for word in words:
        if os.path.isdir(word):
            yield from of_folder(word)
        elif os.path.lexists(word) or not glob.has_magic(word):
            yield word, None  # if it is missing, opening it says so
        else:
            named = word.split(os.sep)
            matches = sorted(
                match
                for match in glob.glob(word, recursive=True)
                if not any(map(is_litter, set(match.split(os.sep)).difference(named)))
            )
            inside = in_folder if "**" in word else of_folder
            seen = set()  # what is in a folder that matches may match too
            for match in matches:
                found = inside(match) if os.path.isdir(match) else [(match, None)]
                for path, why in found:
                    if path not in seen:
                        seen.add(path)
                        yield path, why
            if not seen:
                yield word, f"no file matches '{shown(word)}'"
