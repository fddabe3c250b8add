//! What goes wrong around the machines: the API server, the way to it, and their tokens.

use std::time::Duration;

use wharfinger_suite::Site;

use wharfinger_suite::Chance;

/// The machines' surroundings.
pub(crate) struct Around<'s> {
    site: &'s Site,
    nodes: usize,
    /// Each machine's token.
    tokens: Vec<String>,
    /// One that ended.
    ended: String,
}

impl<'s> Around<'s> {
    pub(crate) fn new(site: &'s Site, nodes: usize) -> Self {
        let tokens: Vec<String> = (0..nodes).map(|at| site.token(at)).collect();
        let ended = site.lab.expired(&tokens[0]).expect("a token that ended");
        Self { site, nodes, tokens, ended }
    }

    /// One thing after the other until the end; then all is as it should be.
    pub(crate) fn until(&self, mut chance: Chance, goes_on: &dyn Fn() -> bool) {
        while goes_on() {
            self.one(&mut chance);
            std::thread::sleep(Duration::from_millis(200 + chance.below(1500)));
        }
        self.server("start");
    }

    fn server(&self, what: &str) {
        self.site.lab.server(what).expect(what);
    }

    /// One fault, for a while. The decisions are all made before, so that they are the same each time.
    fn one(&self, chance: &mut Chance) {
        let while_ = Duration::from_millis(300 + chance.below(3000));
        let (what, node, many) =
            (chance.below(100), chance.index(self.nodes), 1 + chance.index(self.nodes / 3));
        let all = || (node..node + many).map(|at| at % self.nodes);
        let stays = || std::thread::sleep(while_);
        match what {
            // It dies, and comes back.
            0..10 => {
                self.server("kill");
                stays();
                self.server("start");
            }
            // It is asked to end, and answers what is under way.
            10..16 => self.server("restart"),
            // It neither answers nor closes anything.
            16..28 => {
                self.server("pause");
                stays();
                self.server("resume");
            }
            // What was said arrived, or did not, and no answer comes back.
            28..50 => {
                self.site.disconnect();
                std::thread::sleep(while_ / 8);
                self.site.connect();
            }
            // Machines are cut off.
            50..70 => {
                all().for_each(|at| self.site.cut(at));
                stays();
                all().for_each(|at| self.site.mend(at));
            }
            // Tokens end, and new ones come late.
            _ => {
                all().for_each(|at| self.site.set_token(at, &self.ended));
                stays();
                all().for_each(|at| self.site.set_token(at, &self.tokens[at]));
            }
        }
    }
}
