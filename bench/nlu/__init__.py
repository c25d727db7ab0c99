"""Understanding, measured: our classifier beside Rasa's, on our sentences and on PhoATIS: `make bench-nlu`."""
