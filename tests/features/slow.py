"""The features again, slowly: from their recipes, on a full grid, in float64, one column at a time."""

import numpy as np

LIMIT_8 = 8.0


def ewm(values: np.ndarray, half_life: float, first: float) -> np.ndarray:
    keep = 0.5 ** (1.0 / half_life)
    out = np.empty(values.size)
    mean = first
    for place, value in enumerate(values):
        mean = keep * mean + (1 - keep) * value
        out[place] = mean
    return out


def lagged(values: np.ndarray, steps: int) -> np.ndarray:
    out = np.full(values.size, np.nan)
    out[steps:] = values[: values.size - steps] if steps else values
    return out


def mean_over(values: np.ndarray, steps: int) -> np.ndarray:
    return np.array([values[max(0, place - steps + 1) : place + 1].sum() / steps for place in range(values.size)])


def signed_log(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.log1p(np.abs(values))


class Pair:
    """One symbol on every step of the grid, from its first candle on; NaN before."""

    def __init__(self, steps: np.ndarray, prices: np.ndarray, length: int) -> None:
        self.traded = np.zeros(length, bool)
        self.traded[steps] = True
        grid = np.full((5, length), np.nan)
        grid[:, steps] = prices
        close = grid[3].copy()
        for place in range(1, length):
            if np.isnan(close[place]):
                close[place] = close[place - 1]
        self.listed = ~np.isnan(close)
        for row in range(4):
            grid[row] = np.where(self.traded, grid[row], close)
        self.open, self.high, self.low, self.close = grid[:4]
        self.volume = np.where(self.traded, grid[4], 0.0)
        self.log = np.log(close)
        first = int(np.argmax(self.listed))
        self.first = first
        change = np.concatenate([[0.0], np.diff(self.log)])
        self.move = np.where(np.isnan(change), 0.0, np.clip(change, -0.05, 0.05))
        self.sigma, self.fast, self.typical_volume = (np.full(length, np.nan) for _ in range(3))
        tail = slice(first, None)
        self.sigma[tail] = np.maximum(np.sqrt(ewm(self.move[tail] ** 2, 240, 1e-6)), 1e-4)
        self.fast[tail] = np.maximum(np.sqrt(ewm(self.move[tail] ** 2, 30, 1e-6)), 1e-5)
        self.typical_volume[tail] = np.maximum(ewm(self.volume[tail], 1440, 0.0), 1e-12)
        self.unit = np.where(self.listed, self.move / self.sigma, 0.0)
        self.flow = np.where(self.traded, np.sign(self.close - self.open) * self.volume, 0.0)

    def r(self, k: int) -> np.ndarray:
        past = lagged(self.log, k)
        moved = np.clip((self.log - past) / (self.sigma * np.sqrt(k)), -LIMIT_8, LIMIT_8)
        return np.where(self.listed & np.isnan(past), 0.0, moved)

    def against_close(self, price: np.ndarray) -> np.ndarray:
        return np.clip((np.log(price) - self.log) / self.sigma, -LIMIT_8, LIMIT_8)

    def mid(self) -> np.ndarray:
        return np.clip((self.log - (np.log(self.high) + np.log(self.low)) / 2) / self.sigma, -LIMIT_8, LIMIT_8)

    def dm(self, k: int) -> np.ndarray:
        filled = [np.where(np.isnan(lagged(self.log, j)), self.log, lagged(self.log, j)) for j in range(k)]
        return np.clip((self.log - np.mean(filled, axis=0)) / (self.sigma * np.sqrt(k)), -LIMIT_8, LIMIT_8)

    def sv(self, k: int) -> np.ndarray:
        return signed_log(mean_over(self.flow, k) / self.typical_volume)


def since_last(pair: Pair) -> np.ndarray:
    """Return the steps since the candle before; from the listing where there was none."""
    out = np.zeros(pair.log.size)
    last = pair.first - 1
    for place in range(pair.first, pair.log.size):
        out[place] = place - last
        if pair.traded[place]:
            last = place
    return out


def sum_since_last(pair: Pair, values: np.ndarray) -> np.ndarray:
    """Return the sum of values over the steps since the candle before."""
    out = np.zeros(values.size)
    total = 0.0
    for place in range(pair.first, values.size):
        total += values[place]
        out[place] = total
        if pair.traded[place]:
            total = 0.0
    return out


def ec(pair: Pair, other: np.ndarray, listed: np.ndarray, half_life: float) -> np.ndarray:
    """Return d − EWM(d) of d = Σ other − Σ own, by the running sums themselves."""
    begin = int(np.argmax(pair.listed & listed)) if np.any(pair.listed & listed) else pair.log.size
    distance = np.concatenate([np.zeros(begin), np.cumsum(other[begin:] - pair.unit[begin:])])
    out = np.zeros(pair.log.size)
    out[begin:] = distance[begin:] - ewm(distance[begin:], half_life, 0.0)
    return np.clip(out / np.sqrt(half_life), -LIMIT_8, LIMIT_8)


def slow_features(pair: Pair, leaders: list[Pair | None], others: list[Pair]) -> dict[str, np.ndarray]:
    """Return every built-in feature on every step."""
    found = {f"own_r_{k}": pair.r(k) for k in (1, 2, 3, 5, 10, 15, 30, 60, 240)}
    found |= {
        "own_open": pair.against_close(pair.open),
        "own_high": pair.against_close(pair.high),
        "own_low": pair.against_close(pair.low),
        "own_mid": pair.mid(),
    }
    found["own_range"] = np.minimum((np.log(pair.high) - np.log(pair.low)) / pair.sigma, LIMIT_8)
    found |= {f"own_dm_{k}": pair.dm(k) for k in (3, 10, 60)}
    found["own_gap"] = np.log1p(np.minimum(since_last(pair), 60))
    found |= {f"own_act_{k}": mean_over(pair.traded.astype(float), k) for k in (10, 60)}
    found |= {f"own_vol_{k}": np.log1p(mean_over(pair.volume, k) / pair.typical_volume) for k in (1, 10)}
    found |= {f"own_sv_{k}": pair.sv(k) for k in (1, 5, 15)}
    found["own_vr"] = np.log(pair.fast / pair.sigma)
    found |= {f"own_lag_{j}": np.nan_to_num(lagged(pair.r(1), j)) for j in (1, 2)}
    tail = slice(pair.first, None)
    slow = np.full(pair.log.size, np.nan)
    slow[tail] = ewm(pair.log[tail], 1440, pair.log[pair.first])
    found["own_slow"] = np.clip((pair.log - slow) / (pair.sigma * np.sqrt(1440)), -LIMIT_8, LIMIT_8)
    for number, leader in enumerate(leaders, start=1):
        found |= leader_features(pair, leader, number)
    return found | market_features(pair, others)


def leader_features(pair: Pair, leader: Pair | None, number: int) -> dict[str, np.ndarray]:
    half_lives = (1, 2, 4, 10, 20, 60) if number < 3 else ()
    names = [
        *(f"r_{k}" for k in (1, 2, 3, 5, 10, 15, 30, 60)),
        "open",
        "high",
        "low",
        "mid",
        "sv_1",
        "sv_5",
        "vr",
        *(f"ec_{h}" for h in half_lives),
        *["slow"] * (number == 1),
    ]
    if leader is None:
        return {f"lead{number}_{name}": np.full(pair.log.size, np.nan) for name in names}
    begin = max(pair.first, leader.first)
    early = np.arange(pair.log.size) < pair.first
    made = {
        f"r_{k}": np.where(lagged(early.astype(float), k) == 0, leader.r(k), 0.0) for k in (1, 2, 3, 5, 10, 15, 30, 60)
    }
    made |= {name: leader.against_close(getattr(leader, name)) for name in ("open", "high", "low")}
    made |= {"mid": leader.mid(), "sv_1": leader.sv(1), "sv_5": leader.sv(5), "vr": np.log(leader.fast / leader.sigma)}
    if number == 1:
        slow = np.full(pair.log.size, np.nan)
        slow[begin:] = ewm(leader.log[begin:], 240, leader.log[begin])
        made["slow"] = np.clip((leader.log - slow) / (leader.sigma * np.sqrt(240)), -LIMIT_8, LIMIT_8)
    unit = np.where(
        np.arange(pair.log.size) == pair.first, 0.0, leader.unit
    )  # the move before both were there is nobody's
    made |= {f"ec_{h}": ec(pair, unit, leader.listed, float(h)) for h in half_lives}
    return {f"lead{number}_{name}": np.where(leader.listed, values, np.nan) for name, values in made.items()}


def market_features(pair: Pair, others: list[Pair]) -> dict[str, np.ndarray]:
    listed = np.array([other.listed for other in others])
    count = listed.sum(axis=0)

    def mean(values: list[np.ndarray]) -> np.ndarray:
        total = np.where(listed, np.array(values), 0.0).sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    returns = {k: mean([other.r(k) for other in others]) for k in (1, 2, 3, 5, 10, 15, 30, 60)}
    move = np.nan_to_num(mean([other.unit for other in others]))
    flow = np.nan_to_num(mean([np.where(other.traded, other.sv(1), 0.0) for other in others]))
    flow_listed = np.where(pair.listed, flow, 0.0)
    found = {f"market_r_{k}": values for k, values in returns.items()}
    found |= {f"market_rel_{k}": values - pair.r(k) for k, values in returns.items()}
    for j in (1, 2):
        found[f"market_lag_{j}"] = lagged(returns[1], j)
        found[f"market_lag_{j}"][pair.first : pair.first + j] = 0.0
    found["market_mid"] = mean([np.where(other.traded, other.mid(), 0.0) for other in others])
    found |= {f"market_sv_{k}": mean_over(flow_listed, k) * k for k in (1, 3, 10)}
    squares = mean([other.r(5) ** 2 for other in others])
    found["market_disp"] = np.sqrt(np.maximum(squares - returns[5] ** 2, 0.0))
    catch = sum_since_last(pair, move)
    found["market_catch"], found["market_catch_rel"] = np.clip(catch, -12, 12), np.clip(catch - pair.unit, -12, 12)
    found |= {
        f"market_ec_{h}": ec(pair, move, np.ones(pair.log.size, bool), float(h))
        for h in (1, 2, 4, 10, 20, 60, 240, 1440)
    }
    return {name: np.where(count > 0, values, np.nan) for name, values in found.items()}
