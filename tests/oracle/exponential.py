"""Coefficients of the polynomials in `src/kernel/smooth`.

    python tests/oracle/exponential.py

prints, for f32 and f64, the q of least degree with

    e^r − 1 ≈ r + r²·q(r),   |r| ≤ ln 2 / 2

whose relative error is a small part of a unit in the last place. Its first coefficient is a half; Remez' exchange finds
the others, which are then rounded to the type. Needs mpmath only.
"""

from mpmath import expm1, fabs, floor, ldexp, linspace, lu_solve, log, matrix, mp, mpf, sign

mp.prec = 200
# A little more than half of ln 2: the nearest integer is found by a product that is rounded.
END = log(2) / 2 + mpf(2) ** -12


def rounded(x, bits):
    exponent = int(floor(log(fabs(x), 2))) + 1 - bits
    return ldexp(mp.nint(ldexp(x, -exponent)), exponent)


def series(r):
    """(e^r − 1 − r)/r², without cancellation."""
    term, total, k = mpf(1) / 2, mpf(0), 3
    while fabs(term) > mpf(2) ** -190:
        total, term, k = total + term, term * r / k, k + 1
    return total


def weight(r):
    """What an error of q is worth, as a part of the result."""
    return fabs(r * r / expm1(r)) if r else mpf(0)


GRID = [r for r in linspace(-END, END, 2000) if r]
VALUES = [(series(r), weight(r)) for r in GRID]


def exchange(fixed, degree):
    """The best coefficients from len(fixed) to degree, and the largest relative error.

    What is left over is divided by the power of r that those still to be found have in common: then they are an
    ordinary polynomial, and the errors of the best one alternate.
    """
    low = len(fixed)
    free = degree + 1 - low
    errors = []
    for r, (value, w) in zip(GRID, VALUES):
        left = value - sum(c * r**k for k, c in enumerate(fixed))
        errors.append((r, left / r**low, w * fabs(r) ** low))
    nearest = lambda x: min(errors, key=lambda error: fabs(error[0] - x))
    points = [nearest(END * mp.cos(mp.pi * (k + mpf(1) / 3) / (free + 1))) for k in range(free + 1)]
    for _ in range(30):
        rows = [[r**k for k in range(free)] + [(-1) ** i / w] for i, (r, _, w) in enumerate(points)]
        solution = lu_solve(matrix(rows), matrix([t for _, t, _ in points]))
        coefficients = [solution[k] for k in range(free)]
        # The largest error of each run of one sign.
        peaks = []
        for point in errors:
            r, t, w = point
            e = w * (sum(c * r**k for k, c in enumerate(coefficients)) - t)
            if peaks and sign(peaks[-1][0]) == sign(e):
                if fabs(e) > fabs(peaks[-1][0]):
                    peaks[-1] = (e, point)
            else:
                peaks.append((e, point))
        while len(peaks) > free + 1:
            peaks.pop(0 if fabs(peaks[0][0]) < fabs(peaks[-1][0]) else -1)
        worst = max(fabs(e) for e, _ in peaks)
        if len(peaks) < free + 1 or worst < fabs(solution[free]) * mpf("1.001"):
            break
        points = [point for _, point in peaks]
    return coefficients, worst


for name, bits, degree in [("f32", 24, 4), ("f32", 24, 5), ("f64", 53, 10)]:
    _, ideal = exchange([], degree)
    best, _ = exchange([mpf(1) / 2], degree)
    fixed = [mpf(1) / 2] + [rounded(c, bits) for c in best]
    error = max(
        fabs(w * (sum(c * r**k for k, c in enumerate(fixed)) - value))
        for r, (value, w) in zip(GRID, VALUES)
    )
    print(f"{name}: relative error 2^{float(log(error, 2)):.1f}, 2^{float(log(ideal, 2)):.1f} before rounding")
    for c in fixed:
        print(f"    {mp.nstr(c, 9 if bits == 24 else 17)}  {float(c).hex()}")
