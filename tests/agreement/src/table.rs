//! The comparison for people.

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use crate::compare::Compared;
use crate::measured::Path;

/// One row for each pair.
pub(crate) fn table(compared: &[Compared]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["case", "lab", "ms", "simulator", "least", "median", "most ms", "agree"]);
    for case in compared {
        let word = |path| match path {
            Path::Direct => "direct",
            Path::Relay => "relay",
        };
        let times =
            case.simulator_ms.map_or([const { String::new() }; 3], |times| times.map(|ms| ms.to_string()));
        let verdict = match (case.outcome_agrees, case.time_agrees) {
            (false, _) => "NO: another outcome".to_owned(),
            (true, Some(false)) => "NO: another time".to_owned(),
            (true, Some(true) | None) if case.facts_differ.is_empty() => "yes".to_owned(),
            (true, Some(true) | None) => format!("NO: {}", case.facts_differ.join("; ")),
        };
        let [least, median, most] = times;
        table.add_row([
            case.case.clone(),
            word(case.lab).to_owned(),
            case.lab_ms.map_or_else(String::new, |ms| format!("{ms:.0}")),
            format!("{} ({} of {} direct)", word(case.simulator), case.direct, case.seeds),
            least,
            median,
            most,
            verdict,
        ]);
    }
    table.to_string()
}
