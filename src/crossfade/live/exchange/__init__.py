"""One request from its last byte in to its last byte out, for every strategy, without waiting: events in, commands out.

`exchange()` picks the state machine; whoever runs it feeds `receive` and carries out the commands in order.
"""

from crossfade.live.exchange.asked import Asked
from crossfade.live.exchange.begin import Exchange, copied, exchange, passing

__all__ = ["Asked", "Exchange", "copied", "exchange", "passing"]
