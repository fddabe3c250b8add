//! What features do to the kernel in memory: rates, settings, rules, VRFs.

use wharfinger_plan::{Action, Change, MAIN_TABLE, Member, Route, Routing, Settings};

use super::refused;
use super::space::{Done, State, place_of};
use crate::Error;

fn made(changed: bool) -> Done {
    if changed { Done::Made } else { Done::WasThere }
}

fn missing() -> Vec<String> {
    vec!["is missing".to_owned()]
}

impl State {
    pub(super) fn feature(&mut self, action: &Action, cookie: u64) -> Result<Done, Error> {
        Ok(match action {
            Action::Shape(shape) => {
                let link = self.existing("shape", cookie, &shape.link.name)?;
                made(link.shape.replace(shape.clone()).as_ref() != Some(shape))
            }
            Action::Redirect(redirect) => {
                self.existing("redirect to", cookie, &redirect.to)?;
                let link = self.existing("redirect", cookie, &redirect.link.name)?;
                made(link.redirect.replace(redirect.clone()).as_ref() != Some(redirect))
            }
            Action::Settings(settings) => self.settings(settings, cookie)?,
            Action::Rule(rule) => {
                let rules = &mut self.space(cookie).rules;
                let is_new = !rules.contains(rule);
                rules.extend(is_new.then_some(*rule));
                made(is_new)
            }
            Action::NoRoute(route) => {
                let routes = &mut self.space(cookie).routes;
                let before = routes.len();
                routes.retain(|found| !same_route(found, route));
                made(routes.len() < before)
            }
            Action::Member(member) => self.member(member, cookie)?,
            Action::Encryption(wanted) => made(self.encrypted.insert(*wanted)),
            Action::DeviceFile(wanted) => made(self.files.insert(wanted.clone())),
            other => {
                return Err(refused("apply", other.to_string(), std::io::ErrorKind::Other.into()));
            }
        })
    }

    fn settings(&mut self, wanted: &Settings, cookie: u64) -> Result<Done, Error> {
        let facts = &mut self.existing("set", cookie, &wanted.link.name)?.facts;
        let before = facts.clone();
        let to = |change: Option<Change<u32>>, found| change.map_or(found, |change| change.to);
        let flag = |change: Option<Change<bool>>, found| change.map_or(found, |change| change.to);
        facts.mac = wanted.mac.map(|change| change.to).or(facts.mac);
        facts.mtu = to(wanted.mtu, facts.mtu);
        facts.txqlen = to(wanted.txqlen, facts.txqlen);
        facts.promisc = flag(wanted.promisc, facts.promisc);
        facts.allmulti = flag(wanted.allmulti, facts.allmulti);
        Ok(made(*facts != before))
    }

    fn member(&mut self, member: &Member, cookie: u64) -> Result<Done, Error> {
        let vrf = self.existing("look at", cookie, &member.vrf)?;
        let table = vrf.table;
        let link = self.existing("set master of", cookie, &member.link.name)?;
        let was = link.vrf.replace(member.vrf.clone());
        self.move_routes(member, cookie, None, table);
        Ok(made(was.as_ref() != Some(&member.vrf)))
    }

    fn move_routes(&mut self, member: &Member, cookie: u64, from: Option<u32>, to: Option<u32>) {
        let routes = self.space(cookie).routes.iter_mut();
        for route in routes.filter(|it| it.link == member.link && it.table == from) {
            route.table = to;
        }
    }

    pub(super) fn undo_feature(&mut self, action: &Action, netns: Option<u64>) {
        let Some(cookie) = place_of(action.place(), netns) else { return };
        match action {
            Action::Shape(shape) => {
                if let Some(link) = self.space(cookie).links.get_mut(&shape.link.name) {
                    link.shape = None;
                }
            }
            Action::Redirect(redirect) => {
                if let Some(link) = self.space(cookie).links.get_mut(&redirect.link.name) {
                    link.redirect = None;
                }
            }
            Action::Settings(settings) => {
                let _ = self.settings(&settings.back(), cookie);
            }
            Action::Rule(rule) => self.space(cookie).rules.retain(|found| found != rule),
            Action::DeviceFile(file) => _ = self.files.remove(file),
            Action::NoRoute(route) => {
                let space = self.space(cookie);
                if space.links.contains_key(&route.link.name) && !space.routes.contains(route) {
                    space.routes.push(route.clone());
                }
            }
            Action::Member(member) => {
                let Some(link) = self.space(cookie).links.get_mut(&member.link.name) else {
                    return;
                };
                link.vrf = None;
                let table = self.space(cookie).links.get(&member.vrf).and_then(|vrf| vrf.table);
                self.move_routes(member, cookie, table, None);
            }
            _ => {}
        }
    }

    pub(super) fn feature_differences(&mut self, action: &Action, cookie: u64) -> Vec<String> {
        if let Action::DeviceFile(file) = action {
            return if self.files.contains(file) { Vec::new() } else { missing() };
        }
        let space = self.space(cookie);
        let is_so = match action {
            Action::Shape(shape) => {
                let link = space.links.get(&shape.link.name);
                link.is_some_and(|link| link.shape.as_ref() == Some(shape))
            }
            Action::Redirect(redirect) => {
                let link = space.links.get(&redirect.link.name);
                link.is_some_and(|link| link.redirect.as_ref() == Some(redirect))
            }
            Action::Settings(settings) => return self.setting_differences(settings, cookie),
            Action::Rule(rule) => space.rules.contains(rule),
            Action::NoRoute(route) => {
                let there = space.routes.iter().any(|found| same_route(found, route));
                return if there { vec!["is there again".to_owned()] } else { Vec::new() };
            }
            Action::Member(member) => {
                let link = space.links.get(&member.link.name);
                link.is_some_and(|link| link.vrf.as_ref() == Some(&member.vrf))
            }
            _ => true,
        };
        if is_so { Vec::new() } else { missing() }
    }

    fn setting_differences(&mut self, wanted: &Settings, cookie: u64) -> Vec<String> {
        let Some(link) = self.space(cookie).links.get(&wanted.link.name) else { return missing() };
        let facts = link.facts.clone();
        let mut all = Vec::new();
        let mut compare = |what: &str, found: String, wanted: Option<String>| {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
                all.push(format!("{what} is {found}, not {wanted}"));
            }
        };
        let text = |change: Option<Change<bool>>| change.map(|change| change.to.to_string());
        let number = |change: Option<Change<u32>>| change.map(|change| change.to.to_string());
        let mac = facts.mac.map_or_else(|| "none".to_owned(), |mac| mac.to_string());
        compare("mac", mac, wanted.mac.map(|change| change.to.to_string()));
        compare("mtu", facts.mtu.to_string(), number(wanted.mtu));
        compare("promisc", facts.promisc.to_string(), text(wanted.promisc));
        compare("allmulti", facts.allmulti.to_string(), text(wanted.allmulti));
        compare("txqueuelen", facts.txqlen.to_string(), number(wanted.txqlen));
        all
    }

    pub(super) fn routing(&mut self, cookie: u64) -> Routing {
        let space = self.space(cookie);
        let table = |route: &Route| Some(route.table.unwrap_or(MAIN_TABLE));
        let routes = space.routes.iter();
        let routes = routes.map(|route| Route { table: table(route), ..route.clone() }).collect();
        let vrfs = space.links.iter();
        let vrfs = vrfs.filter_map(|(name, link)| Some((name.clone(), link.table?))).collect();
        Routing { routes, ruled: space.rules.iter().map(|rule| rule.table).collect(), vrfs }
    }
}

/// The same route, the main table being that of one without.
fn same_route(left: &Route, right: &Route) -> bool {
    let main =
        |route: &Route| Route { table: Some(route.table.unwrap_or(MAIN_TABLE)), ..route.clone() };
    main(left) == main(right)
}
