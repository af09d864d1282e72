"""How well the forecasts have held: each is written down as it was stated, and scored once its outcome is known."""
