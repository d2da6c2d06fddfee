//! Sessions under faults, against sessions without.

mod crowds;
mod faults;

use chartroom_icd::Request;
use chartroom_testkit::client::Client;
use chartroom_testkit::fits::{Header, image};
use chartroom_testkit::history::check;
use chartroom_testkit::oracle::{compare, run};
use chartroom_testkit::script::{Script, ScriptImage, Weights};
use chartroom_testkit::server::TestServer;

const SHAPE: [u64; 3] = [300, 200, 12];

async fn server() -> (TestServer, Vec<ScriptImage>) {
    let server = TestServer::start().await.unwrap();
    let header = Header::image::<f32>(&SHAPE).with("CTYPE3", "FREQ");
    // A number for each pixel that no other has.
    std::fs::write(server.folder().join("cube.fits"), image(&header, |i| i as f32)).unwrap();
    let cube = ScriptImage {
        name: "cube.fits".to_owned(),
        width: SHAPE[0] as u32,
        height: SHAPE[1] as u32,
        channels: SHAPE[2] as u32,
        stokes: 1,
    };
    (server, vec![cube])
}

#[tokio::test]
async fn the_same_script_leads_to_the_same_state_and_a_history_without_violations() {
    let (server, images) = server().await;
    for seed in 0..8 {
        let script = Script::random(seed, 40, &images, Weights::default());
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            let mut client = Client::register(server.url(), 30).await.unwrap();
            client.record();
            let outcome = run(&mut client, &script, async |_, _| {}).await.unwrap();
            assert_eq!(check(&client.take_history()), [], "seed {seed}");
            client.close().await.unwrap();
            outcomes.push(outcome);
        }
        let asked = script
            .steps
            .iter()
            .filter(|step| Request::has_reply(step))
            .count();
        assert!(outcomes[0].len() > asked, "seed {seed}: {:?}", outcomes[0].keys());
        assert_eq!(compare(&outcomes[0], &outcomes[1]), [], "seed {seed}");
    }
}
