import pytest

from appliance.bundles import shared_prefix
from appliance.bundles.sheets import Row, lay_out
from tests.bundles import tiny_llama

torch = pytest.importorskip("torch")

ROWS = [
    Row([1, 2, 3, 10], [20, 21]),
    Row([1, 2, 3, 11, 12, 13], [22]),
    Row([1, 2, 3, 14], [23, 24, 25, 26]),
]


@pytest.fixture(scope="module")
def models():
    shared_prefix.register()
    return tiny_llama.make(), tiny_llama.make(shared_prefix.NAME)


def hidden(model, sheet):
    return model.model(
        input_ids=torch.tensor([sheet.tokens]),
        position_ids=torch.tensor([sheet.positions]),
        use_cache=False,
        prefix=sheet.prefix,
        groups=sheet.groups,
    ).last_hidden_state[0]


@pytest.mark.parametrize("group_rows", [1, 2, 3])
def test_row_on_a_sheet_reads_as_it_does_alone(models, group_rows):
    plain, sheeted = models
    sheet = lay_out(ROWS, group_rows, padding=0)
    assert sheet.prefix == 3
    with torch.no_grad():
        together = hidden(sheeted, sheet)
        place = sheet.prefix
        ordered = sorted(ROWS, key=lambda row: len(row.prompt) + len(row.answer))
        widths = [group.width for group in sheet.groups for _ in range(group.rows)]
        for row, width in zip(ordered, widths, strict=True):
            tokens = [*row.prompt, *row.answer]
            alone = plain.model(input_ids=torch.tensor([tokens])).last_hidden_state[0]
            own = len(tokens) - sheet.prefix
            torch.testing.assert_close(together[place : place + own], alone[sheet.prefix :], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(together[: sheet.prefix], alone[: sheet.prefix], rtol=1e-4, atol=1e-5)
            place += width


def test_one_row_never_reads_another(models):
    _, sheeted = models
    other = [ROWS[0], ROWS[1], Row([1, 2, 3, 40], [41, 42, 43, 44])]
    with torch.no_grad():
        first, second = (hidden(sheeted, lay_out(rows, 2, padding=0)) for rows in (ROWS, other))
    sheet = lay_out(ROWS, 2, padding=0)
    before_the_last = len(sheet.tokens) - sheet.groups[-1].width
    torch.testing.assert_close(first[:before_the_last], second[:before_the_last])
    assert not torch.allclose(first[before_the_last:], second[before_the_last:])
