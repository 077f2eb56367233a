"""Model families: each fits one fold and predicts, behind one interface."""
