from _script import run, script_parser


def main():
    parser = script_parser(__doc__)
    from keras_t2t.training import command_line

    command_line.add_training_flags(parser)
    settings = vars(parser.parse_args())
    del settings["backend"]
    command_line.print_result(command_line.train_from_flags(settings))


if __name__ == "__main__":
    run(main)
