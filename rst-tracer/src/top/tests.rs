//! What events become on the screen: the model, the keys, the picture.

use std::time::Duration;

use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};

use super::{
    draw::{Frame, Picture},
    model::{Key, Model},
    view::{Asked, Table, View, Window},
};
use crate::event::{
    Cause, Endpoint, Event, RstEvent, Severity, StatsEvent, Timestamp, samples::unread_data,
};

const SECOND: u64 = 1_000_000_000;

fn reset(change: impl FnOnce(&mut RstEvent)) -> Event {
    let Event::Rst(mut event) = unread_data() else { panic!("a reset") };
    change(&mut event);
    Event::Rst(event)
}

fn refused(port: u16) -> Event {
    reset(|event| {
        event.server = Some(Endpoint { ip: [10, 0, 0, 9].into(), port });
        (event.cause, event.severity, event.process) = (Cause::ClosedPort, Severity::Low, None);
    })
}

fn stats(second: u64, segments: u64, rsts: u64, lost: u64) -> Event {
    let time = Timestamp(second * SECOND);
    let host = "web-1".to_owned();
    Event::from(StatsEvent { time, host, segments, rsts, lost, flows: 77, ..StatsEvent::default() })
}

/// Three resets of one cause, and a more severe one of another.
fn model() -> Model {
    let mut model = Model::default();
    model.take(&stats(0, 0, 0, 0), SECOND);
    [80, 81, 81].map(refused).iter().for_each(|event| model.take(event, SECOND));
    let hostile = |event: &mut RstEvent| event.severity = Severity::High;
    model.take(&reset(hostile), 2 * SECOND);
    model.take(&stats(2, 9_000, 8, 3), 2 * SECOND);
    model
}

/// The screen as text.
fn shown(model: &Model, view: &View, now_ns: u64, [width, height]: [u16; 2]) -> String {
    let picture = Picture::take(model, view, now_ns);
    let said = Some("eth1: gone".to_owned());
    let up = Duration::from_secs(3_723);
    let frame = Frame { picture: &picture, view, up, said, has_colours: true };
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|out| frame.draw(out)).unwrap();
    terminal.backend().to_string()
}

fn press(view: &mut View, model: &Model, code: KeyCode) -> Asked {
    let lines = model.lines(view.table, view.window, 3 * SECOND);
    view.press(KeyEvent::new(code, KeyModifiers::NONE), &lines)
}

#[test]
fn the_picture_says_how_many_of_what_and_why_the_last() {
    insta::assert_snapshot!(shown(&model(), &View::default(), 3 * SECOND, [120, 30]));
}

#[test]
fn nothing_yet_is_said() {
    let text = shown(&Model::default(), &View::default(), 0, [100, 24]);
    assert!(text.contains("No reset yet."), "{text}");
}

#[test]
fn no_size_of_a_terminal_is_too_small_to_draw() {
    for size in [[1, 1], [7, 3], [40, 9], [300, 80]] {
        shown(&model(), &View::default(), 3 * SECOND, size);
    }
}

#[test]
fn a_usual_terminal_has_room_for_a_service_and_all_of_the_head() {
    let view = View { table: Table::Pairs, ..View::default() };
    let mut model = model();
    let text = shown(&model, &view, 3 * SECOND, [80, 24]);
    assert!(text.contains("10.0.0.5 → 10.0.0.9:81") && text.contains(" closed port"), "{text}");
    let far = Endpoint { ip: [192, 168, 100, 101].into(), port: 50_000 };
    let near = Endpoint { ip: [192, 168, 200, 201].into(), port: 54_321 };
    model.take(&reset(|event| (event.client, event.server) = (Some(far), Some(near))), SECOND);
    let text = shown(&model, &view, 3 * SECOND, [80, 24]);
    assert!(text.contains("192.168.100.101 → 192.168.200.201:54321"), "{text}");
    assert!(text.contains("connections 77"), "{text}");
    let text = shown(&model, &View::default(), 3 * SECOND, [32, 9]);
    assert!(text.contains("closed with unread data        2"), "{text}");
}

#[test]
fn a_stranger_writes_nothing_to_the_terminal() {
    let mut model = Model::default();
    model
        .take(&reset(|event| event.process.as_mut().unwrap().name = "a\x1b[2Jb\u{202e}".into()), 0);
    let view = View { table: Table::Processes, ..View::default() };
    let text = shown(&model, &view, 0, [120, 30]);
    assert!(!text.contains('\x1b') && !text.contains('\u{202e}'), "{text}");
    assert!(text.contains("a\\u{1b}[2Jb"), "{text}");
}

#[test]
fn letters_and_tab_turn_to_tables() {
    let (model, mut view) = (model(), View::default());
    for (code, table) in [
        (KeyCode::Char('p'), Table::Pairs),
        (KeyCode::Char('s'), Table::Services),
        (KeyCode::Char('r'), Table::Processes),
        (KeyCode::Char('c'), Table::Causes),
        (KeyCode::Tab, Table::Pairs),
        (KeyCode::BackTab, Table::Causes),
    ] {
        assert_eq!(press(&mut view, &model, code), Asked::Look);
        assert_eq!(view.table, table);
        assert!(!model.lines(table, view.window, 3 * SECOND).is_empty(), "{table:?}");
    }
}

#[test]
fn a_chosen_row_stays_chosen_where_others_pass_it() {
    let (mut model, mut view) = (model(), View::default());
    press(&mut view, &model, KeyCode::Down);
    let chosen = Some(Key::Cause(Cause::ClosedWithUnreadData));
    assert_eq!(view.chosen, chosen);
    (0..9).for_each(|_| model.take(&reset(|_| {}), 3 * SECOND));
    let lines = model.lines(Table::Causes, Window::Minute, 3 * SECOND);
    assert_eq!((view.row(&lines), &lines[0].key), (0, chosen.as_ref().unwrap()));
    press(&mut view, &model, KeyCode::Char('G'));
    assert_eq!(view.row(&lines), 1);
}

#[test]
fn the_last_minute_passes_and_the_rest_stays() {
    let model = model();
    let at = |now| {
        let lines = model.lines(Table::Causes, Window::Minute, now);
        lines.iter().map(|line| (line.lately, line.total)).collect::<Vec<_>>()
    };
    assert_eq!(at(3 * SECOND), [(3, 3), (1, 1)]);
    assert_eq!(at(58 * SECOND), [(3, 3), (1, 1)]);
    assert_eq!(at(70 * SECOND), [(0, 3), (0, 1)]);
}

#[test]
fn q_and_control_c_end_it_and_c_alone_does_not() {
    let (model, mut view) = (model(), View::default());
    assert_eq!(press(&mut view, &model, KeyCode::Char('q')), Asked::End);
    assert_eq!(press(&mut view, &model, KeyCode::Char('c')), Asked::Look);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(view.press(control_c, &[]), Asked::End);
    assert_eq!(press(&mut view, &model, KeyCode::Char('z')), Asked::Nothing);
}

#[test]
fn a_flood_of_strangers_is_held_in_bounded_memory() {
    let mut model = Model::default();
    for n in 0..20_000_u32 {
        let [_, b, c, d] = n.to_be_bytes();
        let from = Endpoint { ip: [10, b, c, d].into(), port: 1 };
        model.take(&reset(|event| (event.client, event.process) = (Some(from), None)), SECOND);
    }
    assert!(model.lines(Table::Pairs, Window::Start, SECOND).len() <= 1_000);
    assert_eq!(model.resets, 20_000);
}
