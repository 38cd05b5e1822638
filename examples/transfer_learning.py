from _script import add_stop_timeout, run, script_parser, stop_within


def main():
    parser = script_parser(__doc__)
    from keras_t2t.training import command_line

    command_line.add_training_flags(parser, weights="imagenet")
    add_stop_timeout(parser)
    settings = vars(parser.parse_args())
    stop_within(settings.pop("stop_timeout"))
    del settings["backend"]
    if settings["dataset"] is None and settings["data_dir"] is None:
        settings["dataset"] = "cifar10"
    command_line.print_result(command_line.train_from_flags(settings))


if __name__ == "__main__":
    run(main, resumes=True)
